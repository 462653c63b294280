"""Two networks without unlabelled scans: the control of methods that train two."""

import torch


def test_it_is_cps_before_the_unlabelled_terms(build_method, make_batch):
    pair, cps, batch = build_method("supervised_pair"), build_method("cps"), make_batch()
    cps.load_state_dict(pair.state_dict())
    [(_, own)], [(_, same)] = pair.updates(batch, 0.9), cps.supervised_updates(batch)
    assert own.keys() == {"supervised"}
    assert torch.equal(own["supervised"], same["supervised"])
    images = torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pair.predict(images), cps.predict(images))


def test_it_is_worth_one_network_each_when_asked_for_one(build_method, make_batch):
    images = make_batch().labelled
    both, a, b = (
        build_method("supervised_pair", predict_with=use).predict(images)
        for use in ("mean", "A", "B")
    )
    torch.testing.assert_close(both, (a + b) / 2)
    assert not torch.equal(a, b)

"""Settings of DVCL that are not the paper's: each does what it says, within the whole method."""

from dvcl.methods.contrast import DistanceContrast


def test_voxels_in_dispute_are_queries_and_no_anchors(build_method, make_batch, monkeypatch):
    calls, original = [], DistanceContrast.forward

    def forward(self, features, probabilities):
        calls.append(len(features))
        return original(self, features, probabilities)

    monkeypatch.setattr(DistanceContrast, "forward", forward)
    batch, unreliable = make_batch(side=8), []
    for agreement in (False, True):
        # Nothing is unreliable by its entropy.
        method = build_method("dvcl", alpha=50.0, queries=100_000, agreement=agreement)
        method.losses(batch, 0.5)
        a, b = (network(batch.unlabelled).logits.argmax(1) for network in method.networks)
        unreliable.append(2 * int((a != b).sum()))
    assert calls == [0, unreliable[1]]
    assert unreliable[1] > 0


def test_outsiders_of_other_classes_reach_the_loss(build_method):
    (part,) = build_method("dvcl", foreign_outsiders=True).distance_contrast
    assert part.foreign_outsiders
    assert not build_method("dvcl").distance_contrast[0].foreign_outsiders

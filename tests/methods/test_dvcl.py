"""DVCL's whole loss against a loop over the sets of the paper; every setting does what it says."""

import math

import numpy as np
import pytest
import torch

from dvcl.errors import InputError
from dvcl.losses.supervised import SupervisedLoss
from dvcl.methods import METHODS
from dvcl.methods.contrast import DistanceContrast, HighQualityContrast
from dvcl.training.engine import step
from dvcl.training.optimisation import Training, build_optimisers

ALL = 100_000  # more voxels than there are: everything takes part, nothing is drawn


def names(method, batch, progress=0.5) -> list[str]:
    return list(method.losses(batch, progress))


@pytest.fixture
def spy(monkeypatch):
    """spy(HighQualityContrast) -> list that collects the arguments of its calls."""

    def install(kind) -> list[tuple]:
        calls, original = [], kind.forward

        def forward(self, *arguments):
            calls.append(arguments)
            return original(self, *arguments)

        monkeypatch.setattr(kind, "forward", forward)
        return calls

    return install


class Sets:
    """Eq. 1 to 8 and 10 in numpy, voxel sets in the order network, patch, voxel."""

    def __init__(self, method, batch, alpha=0.5) -> None:
        self.labels = batch.labels.numpy()
        self.logits, self.features, self.p = [], [], []
        known = len(self.labels)
        for network, head in zip(method.networks, method.heads, strict=True):
            logits, maps = network(batch.images)
            self.logits.append(logits)
            self.p.append(logits.double().softmax(1).detach().numpy())
            self.features.append(head(maps.movedim(1, -1)).detach())
        self.predicted = [p.argmax(1) for p in self.p]
        self.entropy = [-(p[known:] * np.log(p[known:])).sum(1) for p in self.p]
        self.reliable = [e < e.mean() + alpha * e.std() for e in self.entropy]
        self.known = known

    def anchors(self, c: int) -> torch.Tensor:
        rows = []
        for features, predicted, reliable in zip(
            self.features, self.predicted, self.reliable, strict=True
        ):
            labelled = (self.labels == c) & (predicted[: self.known] == c)
            unlabelled = (predicted[self.known :] == c) & reliable
            rows.append(features[torch.from_numpy(np.concatenate([labelled, unlabelled]))])
        return torch.cat(rows)

    def negatives(self, c: int) -> torch.Tensor:
        rows = []
        for features, predicted in zip(self.features, self.predicted, strict=True):
            wrong = (predicted[: self.known] == c) & (self.labels != c)
            rows.append(features[: self.known][torch.from_numpy(wrong)])
        return torch.cat(rows)

    def queries(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Features and probabilities of each network's unreliable voxels."""
        found = []
        for features, p, reliable in zip(self.features, self.p, self.reliable, strict=True):
            mask = torch.from_numpy(~reliable)
            probabilities = torch.from_numpy(p[self.known :]).movedim(1, -1)
            found.append((features[self.known :][mask], probabilities[mask]))
        return found


@pytest.fixture
def everything(build_method, make_batch):
    """everything(**settings) -> a method that leaves no voxel out, a batch, the paper's sets."""

    def build(**settings):
        method = build_method("dvcl", anchors=ALL, queries=ALL, bank_size=3000, **settings)
        batch = make_batch(side=8)
        return method, batch, Sets(method, batch)

    return build


def test_contrast_receives_the_sets_of_the_paper(everything, spy):
    high_quality, distance = spy(HighQualityContrast), spy(DistanceContrast)
    method, batch, sets = everything()
    method.losses(batch, 0.5)
    anchors, negatives, _ = high_quality[0]
    for c in range(3):
        torch.testing.assert_close(anchors[c], sets.anchors(c))
        torch.testing.assert_close(negatives[c], sets.negatives(c))
    assert len(anchors) == len(negatives) == 3
    (features, probabilities), *others = distance
    assert not others
    expected = [torch.cat(parts) for parts in zip(*sets.queries(), strict=True)]
    torch.testing.assert_close(features, expected[0])
    torch.testing.assert_close(probabilities.double(), expected[1], rtol=1e-4, atol=1e-6)
    assert 0.05 < len(features) / (4 * 8**3) < 0.5


def test_all_terms_equal_the_formulas(everything):
    method, batch, sets = everything()
    random = torch.Generator().manual_seed(3)
    method.random.manual_seed(3)
    terms = method.losses(batch, 0.5)
    known = sets.known

    supervised = sum(SupervisedLoss()(x[:known].log_softmax(1), batch.labels) for x in sets.logits)
    torch.testing.assert_close(terms["supervised"], supervised)

    taught = 0.0
    for student, teacher in ((0, 1), (1, 0)):
        e = sets.entropy[teacher]
        weights = np.where(sets.reliable[teacher], 1, np.exp(-e / math.log2(3)))
        labels = sets.predicted[teacher][known:][:, None]
        p = np.take_along_axis(sets.p[student][known:], labels, axis=1)[:, 0]
        taught += (-weights * np.log(p)).mean()
    assert terms["ecps"].item() == pytest.approx(0.1 * math.exp(-1.25) * taught, rel=1e-4)

    means = []
    for c in range(3):
        mine, wrong = sets.anchors(c).double(), sets.negatives(c).double()
        if not len(mine) or not len(wrong):
            continue
        drawn = torch.randint(len(wrong), (len(mine), 5), generator=random)
        cosines = torch.nn.functional.cosine_similarity
        bank = mine[-3000:]
        positive = cosines(mine, bank.mean(0, keepdim=True)).exp()
        others = cosines(mine.unsqueeze(1), wrong[drawn], dim=2).exp().sum(1)
        means.append(-(positive / (positive + others)).log().mean())
    expected = 0.1 * torch.stack(means).mean()
    assert len(means) >= 2
    assert terms["hqc"].item() == pytest.approx(expected.item(), rel=1e-4)

    features, p = (torch.cat(parts).double() for parts in zip(*sets.queries(), strict=True))
    unit = torch.nn.functional.normalize(features, dim=1)
    similarity = unit @ unit.T
    agreement = p @ p.T
    nearest = similarity.clone().fill_diagonal_(-math.inf).topk(3, dim=1).indices
    farthest = similarity.clone().fill_diagonal_(math.inf).topk(4, dim=1, largest=False).indices
    psi = agreement.gather(1, farthest).sum(1) - agreement.gather(1, nearest).sum(1)
    assert terms["distance"].item() == pytest.approx(0.1 * 0.3 * psi.mean().item(), rel=1e-3)


def test_the_distance_term_sends_no_gradient_to_the_feature_heads(everything):
    method, batch, _ = everything()
    method.losses(batch, 0.5)["distance"].backward()
    assert all(weight.grad is None for weight in method.heads.parameters())
    for network in method.networks:
        assert network.segmentation_head.weight.grad.abs().max() > 0
        assert next(network.encoder.parameters()).grad.abs().max() > 0


def test_high_quality_contrast_trains_the_heads_and_not_the_classifier(everything):
    method, batch, _ = everything()
    method.losses(batch, 0.5)["hqc"].backward()
    assert all(weight.grad is not None for weight in method.heads.parameters())
    for network in method.networks:
        assert network.segmentation_head.weight.grad is None


def test_cross_supervision_does_not_teach_the_teacher(build_method, make_batch):
    """What moves network A is its own loss against constant labels and weights of B, alone."""
    method, batch = build_method("dvcl"), make_batch(side=8)
    terms = method.losses(batch, 1.0)
    learner = [*method.networks[0].parameters()]
    with torch.no_grad():
        images = batch.unlabelled
        logs = [network(images).logits.log_softmax(1) for network in method.networks]
        labels = logs[1].argmax(1)
        entropy = -(logs[1].exp() * logs[1]).sum(1)
        threshold = entropy.mean() + 0.5 * entropy.std(correction=0)
        lowered = (-entropy / math.log2(3)).exp()
        weights = torch.where(entropy > threshold, lowered, 1.0)
    student = method.networks[0](batch.images).logits[2:].log_softmax(1)
    ce = torch.nn.functional.nll_loss(student, labels, reduction="none")
    expected = torch.autograd.grad(0.1 * (weights * ce).mean(), learner)
    found = torch.autograd.grad(terms["ecps"], learner)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-7)


# Settings, one by one.


@pytest.mark.parametrize(
    ("settings", "progress", "expected"),
    [
        ({}, 0.0, ["supervised", "ecps", "hqc", "distance"]),
        ({"contrast": 0.0}, 0.5, ["supervised", "ecps"]),
        ({"distance": 0.0}, 0.5, ["supervised", "ecps", "hqc"]),
        ({"high_quality": False}, 0.5, ["supervised", "ecps", "distance"]),
        ({"contrast_start": 0.4}, 0.39, ["supervised", "ecps"]),
        ({"contrast_start": 0.4}, 0.4, ["supervised", "ecps", "hqc", "distance"]),
        ({"distance_start": 0.4}, 0.39, ["supervised", "ecps", "hqc"]),
        ({"distance_start": 0.4}, 0.4, ["supervised", "ecps", "hqc", "distance"]),
        ({"distance": 0.0, "high_quality": False}, 0.5, ["supervised", "ecps"]),
    ],
)
def test_which_terms_take_part(settings, progress, expected, build_method, make_batch):
    assert names(build_method("dvcl", **settings), make_batch(side=8), progress) == expected


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_strengths_follow_their_ramps(progress, everything):
    def terms(**settings):
        method, batch, _ = everything(**settings)
        return method.losses(batch, progress)

    plain = terms()
    doubled = terms(consistency=0.2, contrast=0.3)
    assert doubled["ecps"].item() == pytest.approx(2 * plain["ecps"].item(), rel=1e-5)
    for term in ("hqc", "distance"):
        assert doubled[term].item() == pytest.approx(3 * plain[term].item(), rel=1e-5)
    ramped = terms(distance_ramp=True)["distance"].item()
    ramp = math.exp(-5 * (1 - progress) ** 2)
    assert ramped == pytest.approx(ramp * plain["distance"].item(), rel=1e-5)
    if progress == 0.5:
        # A ramp that begins at 0.25 has a third of its way behind it.
        late = terms(distance_ramp=True, distance_start=0.25)["distance"].item()
        ramp = math.exp(-5 * (2 / 3) ** 2)
        assert late == pytest.approx(ramp * plain["distance"].item(), rel=1e-5)


def test_without_entropy_weighting_cross_supervision_is_plain(everything, build_method):
    method, batch, _ = everything(entropy_weighting=False)
    plain = method.losses(batch, 0.5)["ecps"]
    cps = build_method("cps", seed=0)
    for mine, theirs in zip(method.networks, cps.networks, strict=True):
        theirs.load_state_dict(mine.state_dict())
    torch.testing.assert_close(plain, cps.losses(batch, 0.5)["cross_supervision"])
    weighted, batch, _ = everything()
    assert weighted.losses(batch, 0.5)["ecps"] < plain


def test_weights_and_threshold_have_their_settings(everything):
    def ecps(**settings) -> float:
        method, batch, _ = everything(**settings)
        return method.losses(batch, 0.5)["ecps"].item()

    plain = ecps()
    assert ecps(maximum_weight=0.5) == pytest.approx(plain / 2, rel=1e-5)
    assert ecps(weight_log_base=math.e) < plain
    # With everything reliable the base is irrelevant, and every weight is 1.
    assert ecps(alpha=50.0) == ecps(alpha=50.0, weight_log_base=math.e)
    assert ecps(alpha=50.0) == pytest.approx(ecps(entropy_weighting=False), rel=1e-6)
    assert ecps(alpha=-1.0) < plain


def test_no_unreliable_voxels_leave_the_distance_term_at_0(everything):
    method, batch, _ = everything(alpha=50.0)
    terms = method.losses(batch, 0.5)
    assert terms["distance"].item() == 0
    sum(terms.values()).backward()


def test_networks_are_pooled_or_kept_apart(everything, spy):
    calls = spy(DistanceContrast)
    method, batch, sets = everything(per_network=True)
    found = method.losses(batch, 0.5)["distance"].item()
    assert len(calls) == 2
    for (features, probabilities), (rows, p) in zip(calls, sets.queries(), strict=True):
        torch.testing.assert_close(features, rows)
        torch.testing.assert_close(probabilities.double(), p, rtol=1e-4, atol=1e-6)
    alone = [DistanceContrast(3, 8, 3, 4, 0, "sum")(r, p.float()) for r, p in sets.queries()]
    assert found == pytest.approx(0.03 * torch.stack(alone).mean().item(), rel=1e-4)
    pooled, batch, _ = everything()
    assert pooled.losses(batch, 0.5)["distance"].item() != pytest.approx(found, rel=1e-4)


def test_the_numbers_that_the_contrast_worked_on_are_noted(everything):
    method, batch, sets = everything(queue_size=100)
    classes = sum(len(sets.anchors(c)) > 0 and len(sets.negatives(c)) > 0 for c in range(3))
    queries = sum(len(features) for features, _ in sets.queries())
    assert method.worked_on == {}
    for past in (0, 100):
        method.losses(batch, 0.5)
        assert method.worked_on == {
            "hqc classes": classes,
            "distance queries": queries,
            "distance candidates": queries - 1 + past,
        }


def test_nothing_to_work_on_is_noted_as_0(everything):
    method, batch, _ = everything(alpha=50.0)
    with torch.no_grad():  # nothing but background
        for network in method.networks:
            network.segmentation_head.weight.zero_()
            network.segmentation_head.bias.copy_(torch.tensor([9.0, 0.0, 0.0]))
    batch.labels.zero_()
    terms = method.losses(batch, 0.5)
    assert terms["hqc"].item() == terms["distance"].item() == 0
    assert set(method.worked_on.values()) == {0}


@pytest.mark.parametrize("loss", ["nnclr", "snclr"])
def test_the_candidates_of_two_views_are_past_voxels(loss, build_method, make_batch):
    method = build_method("dvcl", distance_loss=loss)
    found = []
    for seed in range(3):
        method.losses(make_batch(seed), 0.5)
        found.append(method.worked_on["distance candidates"])
    assert found == [0, 64, 100]


def test_terms_that_are_switched_off_note_nothing(build_method, make_batch):
    for settings in ({"contrast": 0.0}, {"contrast_start": 0.6}):
        method = build_method("dvcl", **settings)
        method.losses(make_batch(), 0.5)
        assert method.worked_on == {}
    method = build_method("dvcl", distance=0.0)
    method.losses(make_batch(), 0.5)
    assert list(method.worked_on) == ["hqc classes"]


@pytest.mark.parametrize("queue_size", [0, 7, 1000])
def test_the_queue_holds_past_queries(queue_size, build_method, make_batch):
    method = build_method("dvcl", queue_size=queue_size)
    (contrast,) = method.distance_contrast
    filled = []
    for seed in range(3):
        method.losses(make_batch(seed, side=8), 0.5)
        filled.append(len(contrast.features.content()))
    # 32 unreliable voxels of each of both networks.
    assert filled == [min(queue_size, 64 * (step + 1)) for step in range(3)]


def test_queries_are_drawn_uniformly_or_equally_over_pseudo_labels(build_method, make_batch, spy):
    calls, batch = spy(DistanceContrast), make_batch(side=16)
    counts = []
    for balance in (False, True):
        method = build_method("dvcl", balance_queries=balance, queries=90)
        with torch.no_grad():  # class 2 becomes rare
            for network in method.networks:
                network.segmentation_head.bias += torch.tensor([0.5, 0.0, -0.3])
        method.losses(batch, 0.5)
        counts.append(calls[-1][1].argmax(1).bincount(minlength=3).tolist())
    uniform, balanced = counts
    assert sum(uniform) == 180
    assert max(uniform) > 2 * min(uniform)
    assert balanced == [60, 60, 60]


def test_reduction(everything):
    method, batch, sets = everything(reduction="mean")
    rows, p = (torch.cat(parts) for parts in zip(*sets.queries(), strict=True))
    alone = DistanceContrast(3, 8, 3, 4, 0, "mean")(rows, p.float())
    found = method.losses(batch, 0.5)["distance"].item()
    assert found == pytest.approx(0.03 * alone.item(), rel=1e-4)


def test_negatives_may_be_detached(everything, spy):
    calls = spy(HighQualityContrast)
    for detach in (False, True):
        method, batch, _ = everything(detach_negatives=detach)
        loss = method.losses(batch, 0.5)["hqc"]
        moved = torch.autograd.grad(loss, calls[-1][1], allow_unused=True)
        assert all(gradient is None for gradient in moved) == detach


def test_negatives_may_be_remembered(build_method, make_batch):
    for remember in (False, True):
        method = build_method("dvcl", remember_negatives=remember)
        method.losses(make_batch(side=8), 0.5)
        kept = sum(len(queue.content()) for queue in method.hqc.remembered)
        assert (kept > 0) == remember


def test_numbers_of_anchors_negatives_and_features(build_method, make_batch, spy):
    calls = spy(HighQualityContrast)
    method = build_method("dvcl", anchors=12, bank_size=9, feature_dimension=6)
    method.losses(make_batch(), 0.5)
    anchors, negatives, _ = calls[0]
    assert [rows.shape for rows in anchors] == [(12, 6)] * 3
    assert max(map(len, negatives)) == 12
    assert {rows.shape[1] for rows in negatives} == {6}
    assert [len(bank.content()) for bank in method.hqc.banks] == [9, 9, 9]


def test_the_two_networks_start_differently_and_see_the_same_images(build_method, make_batch):
    a, b = build_method("dvcl").networks
    assert not torch.equal(a.encoder[0][0].weight, b.encoder[0][0].weight)
    seen = []
    for network in (a, b):
        network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method = build_method("dvcl")
    method.networks[0], method.networks[1] = a, b
    batch = make_batch(side=8)
    method.losses(batch, 0.5)
    assert all(torch.equal(images, batch.images) for images in seen)
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"predict_with": "C"}, r"method.predict_with: 'C' found, one of \['mean', 'A', 'B'\]"),
        ({"reduction": "max"}, r"method.reduction: 'max' found"),
    ],
)
def test_choices_are_checked(settings, message, build_method):
    with pytest.raises(InputError, match=message):
        build_method("dvcl", **settings)


@pytest.mark.parametrize(
    "setting",
    [{"weight_log_base": 1.0}, {"temperature": 0.0}, {"queries": 0}, {"neighbours": 0},
     {"distance": -1.0}, {"contrast": float("nan")}],
)  # fmt: skip
def test_settings_without_sense_are_refused_at_the_start(setting: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(setting))):
        METHODS["dvcl"](lambda scheme: pytest.fail("no network is built"), 3, **setting)


def test_the_default_trains_as_recorded(build_method, make_batch):
    """Numbers from before other losses could stand in the place of Eq. 17.

    They were equal to the last bit; the tolerance is for processors that round otherwise.
    """
    recorded = [
        [2.142066240310669, 0.001229270827025175, 0.17140145599842072, 0.009543919004499912],
        [2.0729923248291016, 0.011095568537712097, 0.172682985663414, 0.009335331618785858],
    ]
    method = build_method("dvcl")
    optimisers = build_optimisers(method, Training(precision="float32"))
    for t, expected in enumerate(recorded):
        terms, _ = step(method, optimisers, make_batch(t), t / 4, 0.05)
        assert [*terms.values()] == pytest.approx(expected, rel=1e-5)


def test_the_knobs_of_the_papers_tables_are_settings_with_its_defaults():
    defaults = METHODS["dvcl"].__init__.__kwdefaults__
    paper = {
        "consistency": 0.1, "contrast": 0.1, "distance": 0.3, "entropy_weighting": True,
        "alpha": 0.5, "maximum_weight": 1.0, "temperature": 1.0, "anchors": 256, "negatives": 50,
        "neighbours": 10, "outsiders": 15, "feature_dimension": 256,
        "distance_loss": "loglikelihood",
    }  # fmt: skip
    assert {key: defaults[key] for key in paper} == paper

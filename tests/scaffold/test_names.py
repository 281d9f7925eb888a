"""What a new plugin is called, and which names are refused."""

import pytest

from dddm.errors import UsageError
from dddm.interfaces.plugin import Kind
from dddm.scaffold.names import check_conflicts, names_of


@pytest.mark.parametrize(
    ("name", "distribution", "module", "id_", "class_name"),
    [
        (
            "dddm-charbonnier", "dddm-charbonnier", "dddm_charbonnier",
            "charbonnier:charbonnier", "Charbonnier",
        ),
        ("dddm-focal-l2", "dddm-focal-l2", "dddm_focal_l2", "focal-l2:focal-l2", "FocalL2"),
        ("focal", "focal", "focal", "focal:focal", "Focal"),
        ("Dddm_Focal..L2", "dddm-focal-l2", "dddm_focal_l2", "focal-l2:focal-l2", "FocalL2"),
        ("dddm-3d", "dddm-3d", "dddm_3d", "3d:3d", "Metric3d"),
        ("dddm-tensor", "dddm-tensor", "dddm_tensor", "tensor:tensor", "MetricTensor"),
        ("dddm-metric", "dddm-metric", "dddm_metric", "metric:metric", "MetricMetric"),
        ("dddm-none", "dddm-none", "dddm_none", "none:none", "MetricNone"),
    ],
)  # fmt: skip
def test_all_names_follow_from_one(
    name: str, distribution: str, module: str, id_: str, class_name: str
) -> None:
    """With the prefix or without, as package indices take it, and never a class that clashes."""
    names = names_of(name, kind=Kind.METRIC)
    assert (names.distribution, names.module) == (distribution, module)
    assert (names.id, names.class_name) == (id_, class_name)


def test_the_component_may_have_a_name_of_its_own() -> None:
    """A package may bring more than one some day."""
    names = names_of("dddm-nets", kind=Kind.BACKBONE, component="small-unet")
    assert names.id == "nets:small-unet"
    assert names.class_name == "SmallUnet"


@pytest.mark.parametrize("name", ["", "-", "dddm focal", "dddm/focal", "föcal", "../focal", "a-"])
def test_an_invalid_package_name_is_refused(name: str) -> None:
    """With an example of one that is."""
    with pytest.raises(UsageError, match="is not a valid package name") as caught:
        names_of(name, kind=Kind.METRIC)
    assert caught.value.remedy is not None
    assert "dddm-charbonnier" in caught.value.remedy


@pytest.mark.parametrize("name", ["3d", "import", "2.5"])
def test_what_python_cannot_import_is_refused(name: str) -> None:
    """With a name that it can."""
    with pytest.raises(UsageError, match="cannot import") as caught:
        names_of(name, kind=Kind.METRIC)
    assert caught.value.remedy is not None
    assert names_of(caught.value.remedy.split()[-1], kind=Kind.METRIC).module.isidentifier()


@pytest.mark.parametrize("component", ["", "Focal", "a:b", "a_b", "-a"])
def test_an_invalid_component_name_is_refused(component: str) -> None:
    """As a recipe could not say it."""
    with pytest.raises(UsageError, match="is not a valid name for a metric") as caught:
        names_of("dddm-focal", kind=Kind.METRIC, component=component)
    assert caught.value.where == "--component"


@pytest.mark.parametrize("name", ["dddm", "dddm-dddm"])
def test_the_namespace_of_the_built_ins_is_taken(name: str) -> None:
    """Two packages cannot share one; the remedy is a name that can be used."""
    with pytest.raises(UsageError, match="'dddm' belongs to dddm") as caught:
        check_conflicts(names_of(name, kind=Kind.METRIC))
    assert caught.value.remedy is not None
    check_conflicts(names_of(caught.value.remedy.split()[-1], kind=Kind.METRIC))


@pytest.mark.parametrize("name", ["json", "torch", "dddm-recipes", "sys"])
def test_a_module_that_is_there_is_not_hidden(name: str) -> None:
    """Of the standard library, of another package, of dddm itself, or built in."""
    with pytest.raises(UsageError, match="a module named"):
        check_conflicts(names_of(name, kind=Kind.METRIC))


def test_a_name_that_is_free_is_free() -> None:
    """Nothing is refused without need."""
    check_conflicts(names_of("dddm-charbonnier", kind=Kind.METRIC))

"""`pytest --alone`: the core's tests where no built-in plugin can be found or imported.

Runs the tests of the registry and of every package after it in the import order; packages before it
cannot use a plugin (`test_architecture.py`).  The files listed below are left out because they need
a built-in.  Each names a test that fails without, or fails to be imported: that is checked, so that
a file which no longer needs built-ins cannot stay on the list.
"""

import os
import sys
from collections.abc import Generator, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, final

import pytest

TESTS: Final = Path(__file__).parents[1]
ROOT: Final = TESTS.parent
BUILT_INS: Final = frozenset(file.parent.name for file in (ROOT / "plugins").glob("*/__init__.py"))
BEFORE_THE_REGISTRY: Final = {"errors", "support", "interfaces", "data", "core"}
PACKAGES: Final = {path.stem for path in (ROOT / "dddm").iterdir()} - BEFORE_THE_REGISTRY
FOLDERS: Final = PACKAGES | {"core_alone"}

IMPORT: Final = "its import"

NEEDS_BUILT_INS: Final = {
    # The command line, on digits.
    "cli/test_plugin_errors.py": "test_a_number_that_is_not_finite_at_first",
    "cli/test_bad_input.py": "test_a_damaged_newest_checkpoint",
    "cli/test_check.py": "test_everything_is_found_at_once",
    "cli/test_data.py": "test_an_npz_without_labels_is_no_data_for_classes",
    "cli/test_evaluate.py": IMPORT,
    "cli/test_init.py": "test_a_folder_of_images_is_learned_from",
    "cli/test_main.py": "test_a_terminal_without_greek",
    "cli/test_plugin.py": "test_a_built_in_on_the_real_command_line",
    "cli/test_report.py": "test_it_writes_the_page_and_prints_its_path",
    "cli/test_score_table.py": IMPORT,
    "cli/test_run_end.py": "test_a_run_ends_with_scores_and_a_verdict",
    "cli/test_sample.py": "test_several_step_counts_and_labels",
    "cli/test_share.py": "test_what_is_exported",
    "cli/test_third_party_plugins.py": "test_each_is_listed_with_its_reason",
    "cli/test_torch_free.py": "test_each_command_is_imported_alone",
    # Recipes that come with dddm, and parts of built-in metrics.
    "recipe/test_left_out.py": "test_a_data_set_is_enough",
    "recipe/test_guidance.py": "test_the_network_has_one_class_more",
    "recipe/test_sampler_fit.py": "test_a_recipe_is_refused_with_the_place",
    "recipe/test_sweep.py": "test_sweeps_that_come_with_dddm_can_be_compared",
    "recipe/test_presets.py": "test_which_there_are",
    "recipe/test_read.py": "test_a_folder_does_not_hide_a_recipe_of_its_name",
    "recipe/test_options.py": "test_a_component_holds_another",
    "recipe/test_schema.py": "test_shipped_recipes_are_valid",
    "registry/test_loader.py": "test_built_ins_come_in_by_the_same_door",
    "training/test_accumulation.py": IMPORT,
    "training/test_sharding.py": "test_what_cannot_be_sharded_is_refused",
    "training/test_versions.py": "test_held_components_and_observers_are_recorded",
    # Packages that are written, in runs on digits.
    "scaffold/test_installed.py": "test_its_recipe_runs",
    # Whole runs on digits.
    "workflow/test_dry_run.py": IMPORT,
    "workflow/test_learned_scores.py": IMPORT,
    "evaluate/test_circular.py": IMPORT,
    "generate/test_precision.py": IMPORT,
    "training/test_read_late.py": IMPORT,
    "evaluate/test_evaluate.py": IMPORT,
    "evaluate/test_evaluations.py": "test_a_second_order_sampler_is_counted_as_it_is",
    "generate/test_export.py": IMPORT,
    "evaluate/test_extract.py": IMPORT,
    "training/test_loop.py": IMPORT,
    "report/test_gallery.py": "test_panels_follow_the_recipe_and_rise_in_steps",
    "report/test_history.py": "test_a_finished_run_needs_no_sentence",
    "report/test_scores.py": IMPORT,
    "training/test_failing_process.py": "test_the_process_that_failed_is_named",
    "training/test_full_disk.py": "test_a_disk_that_fills_up_costs_nothing_but_time",
    "training/test_observers.py": "test_a_default_one_that_is_not_there_harms_no_run",
    "report/test_pages_in_a_browser.py": "test_nothing_is_complained_of",
    "training/test_processes.py": "test_a_finished_run_is_not_trained_again",
    "workflow/test_progress.py": "test_the_best_weights_are_kept",
    "report/test_run_page.py": "test_writing_it_twice_gives_the_same_page",
    "training/test_resume.py": "test_a_finished_run_is_not_done_again",
    "training/test_resume_optimizers.py": "test_every_built_in_is_here",
    "training/test_save_fails.py": "test_the_last_good_checkpoint_always_loads",
    "training/test_saver.py": "test_what_goes_wrong_is_raised_in_training",
    "evaluate/test_score_images.py": IMPORT,
    "evaluate/test_verdicts.py": IMPORT,
    "workflow/test_guidance.py": "test_guided_while_training",
    "workflow/test_parallel.py": "test_a_sweep_that_is_killed_resumes_with_the_same_result",
    "workflow/test_prepare.py": IMPORT,
    "workflow/test_third_party_metric.py": "test_a_checkpoint_records_ids_and_versions",
    "workflow/test_sweep.py": "test_an_entry_that_fails_does_not_stop_the_others",
    "generate/test_trained.py": "test_a_mistake_is_named",
    "workflow/test_two_machines.py": "test_two_machines_are_one",
    "generate/test_damaged_run.py": "test_a_run_json_that_was_removed_is_written_again",
    "recipe/test_gpu_preset.py": "test_any_recipe_can_take_it",
    "training/test_closed_terminal.py": "test_a_closed_terminal_loses_nothing",
    "training/test_compile.py": "test_no_graph_breaks_and_none_is_compiled_twice",
    "training/test_continue.py": "test_a_finished_run_goes_on",
    "training/test_events.py": "test_observers_have_folders_of_their_own",
    "training/test_hung_process.py": "test_a_run_of_which_one_process_hangs_ends_with_an_error",
    "training/test_removed_folder.py": "test_the_run_ends_with_an_error_whose_remedy_works",
    "training/test_start_from.py": "test_training_goes_on_from_there",
    # The conformance kit, on every built-in.
    "testing/test_built_ins.py": IMPORT,
}
"""Files under `tests/`, each with what fails in it where there are toys alone."""


def place_of(path: Path) -> str:
    """Of a file, under `tests/`."""
    return path.relative_to(TESTS).as_posix()


@final
class NoBuiltIns:
    """Refuses to import them, whoever asks."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in BUILT_INS:
            raise ImportError(f"{name} is a built-in plugin, and these tests stand alone")
        return None


@final
class StandingAlone:
    """The plugin of pytest that `--alone` registers."""

    def pytest_configure(self) -> None:
        os.environ["DDDM_DISABLE_PLUGINS"] = ",".join(entry_points(group="dddm").names)
        sys.meta_path.insert(0, NoBuiltIns())

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """What is no test of the core."""
        if not collection_path.is_relative_to(TESTS) or collection_path == TESTS:
            return None
        return True if place_of(collection_path).partition("/")[0] not in FOLDERS else None

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """A file whose import is on the list has to fail when it is imported."""
        report = yield
        if not isinstance(collector, pytest.Module):
            return report
        if NEEDS_BUILT_INS.get(place_of(collector.path)) != IMPORT:
            return report
        if not report.result:  # it failed, or nothing of it was asked for
            return pytest.CollectReport(report.nodeid, "passed", longrepr=None, result=[])
        said = f"{report.nodeid} can be imported without built-ins: take it off the list"
        return pytest.CollectReport(report.nodeid, "failed", longrepr=said, result=[])

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Of a file on the list, the first case of the test that it names; it has to fail."""
        kept: dict[str, pytest.Item] = {}
        for item in items:
            listed = NEEDS_BUILT_INS.get(place_of(item.path))
            if listed is None:
                kept[item.nodeid] = item
            elif getattr(item, "originalname", item.name) == listed:
                kept.setdefault(place_of(item.path), item)
        for place in kept.keys() & NEEDS_BUILT_INS.keys():
            kept[place].add_marker(pytest.mark.xfail(strict=True, reason="it needs a built-in"))
        config.hook.pytest_deselected(items=[item for item in items if item not in kept.values()])
        items[:] = kept.values()

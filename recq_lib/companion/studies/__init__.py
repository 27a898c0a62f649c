"""Named grids of runs: a study is a function from profile to plans, and running it skips what is recorded."""

from recq_lib.companion.studies.study import STUDIES, best_recorded, plans, recorded, run_study

__all__ = ["STUDIES", "best_recorded", "plans", "recorded", "run_study"]

import pytest
from helpers import random_interactions

from recq_lib.companion.checks import ExerciseFailed
from recq_lib.companion.exercises import start as exercises
from recq_lib.data.toy import toy


def test_code_ratio_accepts_the_ratio_of_bits():
    exercises.check_code_ratio(lambda d, b: 32 * d / (b * d + 32))
    for wrong in (None, lambda d, b: 32 / b, lambda d, b: (b * d + 32) / (32 * d), lambda d: 1.0, lambda d, b: None):
        with pytest.raises(ExerciseFailed):
            exercises.check_code_ratio(wrong)


def test_most_popular_by_hand_on_the_toy():
    answer = {0: 2, 1: 3, 2: 0, 3: 1, 4: 1, 5: 2}  # popularity 2, 3, 4, 2, 2
    exercises.check_most_popular(answer, toy())
    for wrong in (None, answer | {2: 3}, answer | {0: 1}, {0: 2}, [2, 3, 0]):
        with pytest.raises(ExerciseFailed):
            exercises.check_most_popular(wrong, toy())


def test_most_popular_by_a_loop():
    data = random_interactions(seed=3)
    dense = data.train.toarray()
    answer = {}
    for user in range(data.n_users):
        unseen = [item for item in range(data.n_items) if not dense[user, item]]
        answer[user] = max(unseen, key=lambda item: (dense[:, item].sum(), -item))
    exercises.check_most_popular(answer, data)
    wrong = answer | {0: max(unseen)}
    if wrong[0] != answer[0]:
        with pytest.raises(ExerciseFailed):
            exercises.check_most_popular(wrong, data)

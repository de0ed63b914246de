"""The learning rate of each step, and how much the decoder is told of its targets.

All schedules rise linearly for `warmup_steps`; then

    trapezoid      stays, and falls linearly to zero in the last `decay_steps`
    inverse_sqrt   falls with the root of the steps
    cosine         falls to zero along half a cosine until `max_steps`
    plateau        stays, and is multiplied by `plateau_factor` after each `plateau_patience`
                   validations without a better dev BLEU; the trainer then goes back to the best
                   checkpoint

Scheduled sampling lets the share of target tokens that the decoder is told fall from 1, over
`teacher_steps` steps k, to `teacher_least` at the least; after i steps it is

    linear            1 - i / k
    exponential       exp(-i / k)
    inverse_sigmoid   k / (k + exp(i / k))

Source: Haegele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed Training
Durations", section 3; Vaswani et al. 2017, equation 3; Loshchilov & Hutter 2017, "SGDR", equation
5, without restarts; Denkowski & Neubig 2017, "Stronger Baselines for Trustable Results in Neural
Machine Translation", on annealing: lower the rate and go on from the best point. Bengio et al.
2015, "Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks", section 2.4, for
the share of the teacher.
"""

import math

from training.recipe import TrainingRecipe


def learning_rate(recipe: TrainingRecipe, step: int, cuts: int = 0) -> float:
    """Return the rate of the step after `step` steps.

    Args:
        cuts: how often a plateau has lowered it.
    """
    rising = (step + 1) / recipe.warmup_steps
    share = min(1.0, rising)
    if rising >= 1:
        match recipe.schedule:
            case "trapezoid":
                left = (recipe.max_steps - step) / max(1, recipe.decay_steps)
                share = max(0.0, min(1.0, left))
            case "inverse_sqrt":
                share = 1 / math.sqrt(rising)
            case "cosine":
                falling = recipe.max_steps + 1 - recipe.warmup_steps
                done = min(1.0, (step + 1 - recipe.warmup_steps) / falling)
                share = (1 + math.cos(math.pi * done)) / 2
            case "plateau":
                share = 1.0
    if recipe.plateau_factor is not None:
        share *= recipe.plateau_factor**cuts
    return recipe.learning_rate * share


def teacher_share(recipe: TrainingRecipe, step: int) -> float:
    """Return the share of target tokens that the decoder is told in the step after `step` steps."""
    if recipe.teacher_steps is None:
        return 1.0
    done = step / recipe.teacher_steps
    share = 1.0
    match recipe.teacher:
        case "linear":
            share = 1 - done
        case "exponential":
            share = math.exp(-done)
        case "inverse_sigmoid":
            # k / (k + exp(i / k)), in which nothing can overflow
            share = 1 / (1 + math.exp(min(done, 700.0)) / recipe.teacher_steps)
    return max(recipe.teacher_least, share)

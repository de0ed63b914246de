"""Batches: durable translation of files that are larger than memory, by lines, rows or units.

    blocks -> decode -> cut -> pieces on disk -> job: read, translate, write -> result on disk

What arrives is looked through as it comes, so that whoever sends it hears at once what is wrong
with it; the job has nothing left to do but to translate.
"""

from service.batches.batches import Batch, Batches, BatchResult
from service.batches.files import BatchFiles
from service.batches.intake import BatchLimits, Order
from service.batches.layout import BatchFormat

__all__ = [
    "Batch",
    "BatchFiles",
    "BatchFormat",
    "BatchLimits",
    "BatchResult",
    "Batches",
    "Order",
]

"""What the service keeps: keys, their use, and what callers have laid down.

All SQL is in this package. A module for each owner holds its tables and what is asked of
them; `migrations` brings a database from any older state to the present one.
"""

from service.store.database import Store, with_timeouts
from service.store.glossaries import DictionaryRecord, GlossaryRecord, GlossaryTable
from service.store.keys import Allowance, KeyRecord, Keys, Work, month_of
from service.store.promotions import Action, PromotionRecord, PromotionTable

__all__ = [
    "Action",
    "Allowance",
    "DictionaryRecord",
    "GlossaryRecord",
    "GlossaryTable",
    "KeyRecord",
    "Keys",
    "PromotionRecord",
    "PromotionTable",
    "Store",
    "Work",
    "month_of",
    "with_timeouts",
]

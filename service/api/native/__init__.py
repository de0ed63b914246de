"""The native API, version 1: one module for each thing that can be asked for."""

from fastapi import APIRouter

from service.api.native import catalogue, translation

router = APIRouter()
router.include_router(translation.router)
router.include_router(catalogue.router)

__all__ = ["router"]

"""The recipes as methods of `AsyncClient`: what `Recipes` is for threads."""

from kvclient.contract.async_face import AsyncFace


class AsyncRecipes(AsyncFace):
    """A key-value store for asyncio with what is built on its operations. See `Recipes`."""

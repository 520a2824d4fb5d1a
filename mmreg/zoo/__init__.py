"""The shipped methods: cards of their configs."""

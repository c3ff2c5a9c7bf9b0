"""The logic of the item and publish operators: sums of similar items, scored and written."""

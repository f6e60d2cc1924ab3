"""This project's data-science code: edit it freely."""

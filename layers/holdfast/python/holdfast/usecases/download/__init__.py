"""Write a recovery point to a local disk in the forms that PostgreSQL's own programs take."""

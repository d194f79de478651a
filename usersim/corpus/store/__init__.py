"""The store itself: address and schema, tables, rows in and out, and who owns them."""

"""The ledger of claims: what others said of levers, what their figures say, and what studies here found."""

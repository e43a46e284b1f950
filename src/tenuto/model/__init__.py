"""The vocabulary: ids, records, table schemas, statuses, errors, findings, Progress."""

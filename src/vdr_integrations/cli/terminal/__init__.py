"""What commands say: lines, tables, pictures, exit codes."""

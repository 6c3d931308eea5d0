"""The forward pass of Qwen2-VL: vision tower, decoder, and the resulting vectors."""

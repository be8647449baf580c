"""Tokenises a text file with the tokenizers library and prints JSON: ids, and the seconds of each round. See tokenize.mjs."""

import json
import sys
import time

from tokenizers import Tokenizer

tokenizer_json, text, batch_size, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
tokenizer = Tokenizer.from_file(tokenizer_json)
tokenizer.no_truncation()
tokenizer.no_padding()
lines = open(text, encoding="utf-8").read().split("\n")
batches = [lines[i : i + batch_size] for i in range(0, len(lines), batch_size)]
seconds, core_seconds, checksum = [], [], 0
for _ in range(rounds):
    begin, core_begin = time.perf_counter(), time.process_time()
    ids = [encoding.ids for batch in batches for encoding in tokenizer.encode_batch_fast(batch)]
    seconds.append(time.perf_counter() - begin)
    core_seconds.append(time.process_time() - core_begin)
for row in ids:
    for token in row:
        checksum = (checksum * 31 + token) & 0xFFFFFFFF
print(json.dumps({"ids": sum(map(len, ids)), "checksum": checksum, "seconds": seconds, "coreSeconds": core_seconds}))

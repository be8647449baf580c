/** Mutations of valid inputs. Everything comes from the generator given, so a seed gives the same inputs everywhere. */

/** Numbers in [0, 1) from two seeds (splitmix32). */
export function generator(seed, stream) {
  let state = (Math.imul(seed, 0x9e3779b9) ^ Math.imul(stream + 1, 0x85ebca6b)) | 0;
  const next = () => {
    state = (state + 0x9e3779b9) | 0;
    let x = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
  const below = (count) => Math.floor(next() * count);
  return { next, below, pick: (list) => list[below(list.length)], chance: (share) => next() < share };
}

/** Numbers at the edges of types, as they stand in text: some are no JSON. */
const NUMBERS = [
  ..."0 -0 1 -1 2 7 0.5 1e-400 1e999 -1e999 255 256 65535 65536 2147483647 2147483648 4294967295 4294967296".split(" "),
  ..."9007199254740991 9007199254740992 9223372036854775807 18446744073709551615 18446744073709551616 1e308".split(" "),
  ..."NaN Infinity 0x10 1_000 00 .5 5.".split(" "),
];
const VALUES = [
  ...'null true false [] {} [[]] [null] [0] [-1] [1e999] {"a":1}'.split(" "),
  ...[
    '""',
    '"a"',
    '"\\u0000"',
    '"\\ud800"',
    '"__proto__"',
    '"constructor"',
    '"../../x"',
    '"/etc/passwd"',
    '"1"',
    '"("',
  ],
  `"${"x".repeat(5000)}"`,
  `${"[".repeat(3000)}${"]".repeat(3000)}`,
  `${'{"a":'.repeat(3000)}1${"}".repeat(3000)}`,
];
const BYTES = [
  0, 1, 9, 10, 13, 0x22, 0x2c, 0x3a, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d, 0x7f, 0x80, 0xc0, 0xe2, 0xed, 0xf4, 0xff,
];

/** One to three mutations of bytes that know nothing of what the bytes mean. */
export function mutateBytes(bytes, other, random) {
  let out = Buffer.from(bytes);
  for (let count = 1 + random.below(3); count > 0; count--) {
    const at = random.below(out.length + 1);
    const length = Math.min(1 << random.below(10), out.length - at);
    switch (random.below(7)) {
      case 0: // a bit
        if (at < out.length) out[at] ^= 1 << random.below(8);
        break;
      case 1: // a byte that means something
        if (at < out.length) out[at] = random.pick(BYTES);
        break;
      case 2:
        out = out.subarray(0, at);
        break;
      case 3:
        out = Buffer.concat([out.subarray(0, at), out.subarray(at + length)]);
        break;
      case 4: // again
        out = Buffer.concat([out.subarray(0, at + length), out.subarray(at)]);
        break;
      case 5: {
        const from = random.below(other.length + 1);
        out = Buffer.concat([
          out.subarray(0, at),
          other.subarray(from, from + (1 << random.below(10))),
          out.subarray(at),
        ]);
        break;
      }
      default: {
        const inserted = Buffer.from(random.pick([...VALUES.slice(0, -3), ...NUMBERS]));
        out = Buffer.concat([out.subarray(0, at), inserted, out.subarray(at)]);
      }
    }
  }
  return out;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/g;

/** One to four mutations of the tokens of JSON: what comes out is often JSON still, of another meaning. */
export function mutateJson(text, other, random) {
  const tokens = text.match(TOKEN) ?? [];
  const others = other.match(TOKEN) ?? [];
  const scalars = (list) => list.flatMap((token, index) => (/^["\dtfn-]/.test(token) ? [index] : []));
  for (let count = 1 + random.below(4); count > 0 && tokens.length > 0; count--) {
    const places = scalars(tokens);
    const at = places.length > 0 && random.chance(0.9) ? random.pick(places) : random.below(tokens.length);
    const isKey = tokens[at + 1] === ":";
    switch (random.below(8)) {
      case 0:
      case 1:
        tokens[at] = isKey ? '"__proto__"' : random.pick(NUMBERS);
        break;
      case 2:
      case 3:
        if (!isKey) tokens[at] = random.pick(VALUES);
        break;
      case 4: // a value or key from elsewhere
        tokens[at] = random.pick(random.chance(0.5) || others.length === 0 ? tokens : others);
        break;
      case 5: // an element or member less
        tokens.splice(at, isKey ? 4 : 2);
        break;
      case 6: // an element or member twice
        tokens.splice(at, 0, ...tokens.slice(at, at + (isKey ? 4 : 2)));
        break;
      default: {
        const digits = /^-?\d+$/.test(tokens[at] ?? "");
        tokens[at] = digits ? String(Number(tokens[at]) + random.pick([-1, 1, 1000])) : (tokens[at] ?? "").repeat(2);
      }
    }
  }
  return tokens.join("");
}

/** Either of both, mostly the one that keeps the text's structure. */
export function mutateText(text, other, random) {
  if (random.chance(0.75)) return Buffer.from(mutateJson(text, other, random));
  return mutateBytes(Buffer.from(text), Buffer.from(other), random);
}

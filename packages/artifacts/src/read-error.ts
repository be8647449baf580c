import { InputError, MedgptError } from "./medgpt-error.js";

/** What is wrong with a file or folder that cannot be read, in words, and what to do. */
const READ_FAULTS: ReadonlyMap<string | undefined, string> = new Map([
  ["ENOENT", "there is no such file or folder; check the name"],
  ["ENOTDIR", "there is no such file or folder, because a part of this path is a file; check the name"],
  ["EACCES", "may not be read; ask for the right to read it (chmod u+r)"],
  ["EPERM", "may not be read; ask for the right to read it (chmod u+r)"],
  ["EISDIR", "expected a file, got a folder; name the files in it"],
  ["ELOOP", "is a link that leads back to itself; remove or repair it"],
  ["ENAMETOOLONG", "the name is too long; check it"],
]);

/** The error that the user is shown for a file or folder that cannot be read, with its place; errors of ours stay as they are. */
export function readError(error: unknown, path: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (MedgptError.isInstance(error) || code === undefined) return error;
  return new InputError(READ_FAULTS.get(code) ?? `cannot be read (${message})`, { place: path, cause: error });
}

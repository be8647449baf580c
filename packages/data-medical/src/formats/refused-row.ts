import { MedgptError } from "@medgpt/artifacts";

/** A row that a format cannot be read from or a target cannot hold; the message is the reason, without the row's place. */
export class RefusedRow extends MedgptError {
  constructor(reason: string) {
    super(reason, { userError: true });
  }
}

/** What a template is once parsed: a list of nodes, with expressions in them. */

export type Expression =
  | { readonly kind: "literal"; readonly value: string | number | boolean | null; readonly float?: boolean }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "list" | "tuple"; readonly items: readonly Expression[] }
  | { readonly kind: "dict"; readonly items: readonly (readonly [Expression, Expression])[] }
  | { readonly kind: "attribute"; readonly of: Expression; readonly name: string }
  | { readonly kind: "item"; readonly of: Expression; readonly key: Expression }
  | { readonly kind: "slice"; readonly of: Expression; readonly bounds: readonly (Expression | undefined)[] }
  | { readonly kind: "call"; readonly of: Expression; readonly args: Arguments }
  | { readonly kind: "filter"; readonly of: Expression; readonly name: string; readonly args: Arguments }
  | { readonly kind: "test"; readonly of: Expression; readonly name: string; readonly args: Arguments }
  | { readonly kind: "not" | "negative" | "positive" | "spread"; readonly of: Expression }
  | { readonly kind: "binary"; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "compare"; readonly first: Expression; readonly rest: readonly (readonly [string, Expression])[] }
  | {
      readonly kind: "condition";
      readonly test: Expression;
      readonly then: Expression;
      readonly otherwise: Expression | undefined;
    };

export interface Arguments {
  readonly positional: readonly Expression[];
  readonly named: readonly (readonly [string, Expression])[];
}

export interface MacroNode {
  readonly name: string;
  readonly parameters: readonly (readonly [string, Expression | undefined])[];
  readonly body: readonly Node[];
}

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "output"; readonly value: Expression }
  | { readonly kind: "if"; readonly branches: readonly (readonly [Expression | undefined, readonly Node[]])[] }
  | {
      readonly kind: "for";
      readonly target: Expression;
      readonly items: Expression;
      readonly filter: Expression | undefined;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | { readonly kind: "set"; readonly target: Expression; readonly value: Expression }
  | {
      readonly kind: "set block";
      readonly target: Expression;
      readonly filters: readonly FilterCall[];
      readonly body: readonly Node[];
    }
  | { readonly kind: "filter block"; readonly filters: readonly FilterCall[]; readonly body: readonly Node[] }
  | { readonly kind: "macro"; readonly macro: MacroNode }
  | { readonly kind: "call block"; readonly call: Expression; readonly caller: MacroNode }
  | {
      readonly kind: "with";
      readonly values: readonly (readonly [Expression, Expression])[];
      readonly body: readonly Node[];
    }
  | { readonly kind: "generation"; readonly body: readonly Node[] }
  | { readonly kind: "break" | "continue" };

export interface FilterCall {
  readonly name: string;
  readonly args: Arguments;
}

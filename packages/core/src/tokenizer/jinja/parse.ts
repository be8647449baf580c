/** Jinja2 templates as trees, as far as chat templates go (pallets/jinja, src/jinja2/parser.py). */
import { tokenize, type Token } from "./lex.js";
import type { Arguments, Expression, FilterCall, Node } from "./syntax.js";
import { TemplateError } from "./template-error.js";

const COMPARISONS = ["==", "!=", "<", ">", "<=", ">="];

class Parser {
  #at = 0;

  constructor(readonly tokens: readonly Token[]) {}

  /** Nodes up to a statement of one of these names, whose name is read too. */
  block(ends: readonly string[]): { nodes: Node[]; end: string } {
    const nodes: Node[] = [];
    for (;;) {
      const token = this.#next();
      if (token === undefined) {
        if (ends.length === 0) return { nodes, end: "" };
        throw new TemplateError(`expected {% ${ends[0]} %} before the end of the template`);
      }
      if (token.kind === "text") nodes.push({ kind: "text", text: token.value });
      else if (token.value === "{{") {
        nodes.push({ kind: "output", value: this.#tuple() });
        this.#end();
      } else {
        const name = this.#name();
        if (ends.includes(name)) return { nodes, end: name };
        nodes.push(this.#statement(name));
      }
    }
  }

  #statement(name: string): Node {
    switch (name) {
      case "if":
        return this.#if();
      case "for":
        return this.#for();
      case "set":
        return this.#set();
      case "macro": {
        const macro = { name: this.#name(), parameters: this.#parameters() };
        return { kind: "macro", macro: { ...macro, body: this.#body("endmacro") } };
      }
      case "call": {
        const parameters = this.#accepts("(") ? this.#parameters(true) : [];
        const call = this.#expression();
        return { kind: "call block", call, caller: { name: "caller", parameters, body: this.#body("endcall") } };
      }
      case "filter": {
        const filters = [this.#filterCall()];
        while (this.#accepts("|")) filters.push(this.#filterCall());
        return { kind: "filter block", filters, body: this.#body("endfilter") };
      }
      case "with": {
        const values: [Expression, Expression][] = [];
        while (this.#peek()?.kind !== "end") {
          if (values.length > 0) this.#expect(",");
          const target: Expression = { kind: "name", name: this.#name() };
          this.#expect("=");
          values.push([target, this.#expression()]);
        }
        return { kind: "with", values, body: this.#body("endwith") };
      }
      case "generation":
        return { kind: "generation", body: this.#body("endgeneration") };
      case "break":
      case "continue":
        this.#end();
        return { kind: name };
      default:
        throw this.#wrong(`the statement ${name} is not supported`);
    }
  }

  #body(end: string): Node[] {
    this.#end();
    const { nodes } = this.block([end]);
    this.#end();
    return nodes;
  }

  #if(): Node {
    const branches: [Expression | undefined, Node[]][] = [];
    let test: Expression | undefined = this.#tuple();
    for (;;) {
      this.#end();
      const { nodes, end } = this.block(["elif", "else", "endif"]);
      branches.push([test, nodes]);
      if (end === "endif") break;
      test = end === "elif" ? this.#tuple() : undefined;
    }
    this.#end();
    return { kind: "if", branches };
  }

  #for(): Node {
    const target = this.#targets();
    this.#expectName("in");
    const items = this.#tuple(false);
    const filter = this.#acceptsName("if") ? this.#expression() : undefined;
    this.#end();
    const { nodes: body, end } = this.block(["else", "endfor"]);
    let otherwise: Node[] = [];
    if (end === "else") {
      this.#end();
      otherwise = this.block(["endfor"]).nodes;
    }
    this.#end();
    return { kind: "for", target, items, filter, body, otherwise };
  }

  #set(): Node {
    const target = this.#targets(true);
    if (this.#accepts("=")) {
      const value = this.#tuple();
      this.#end();
      return { kind: "set", target, value };
    }
    const filters: FilterCall[] = [];
    while (this.#accepts("|")) filters.push(this.#filterCall());
    return { kind: "set block", target, filters, body: this.#body("endset") };
  }

  /** Names, with commas between them, or an attribute of one. */
  #targets(attributes = false): Expression {
    const one = (): Expression => {
      if (this.#accepts("(")) {
        const inner = this.#targets();
        this.#expect(")");
        return inner;
      }
      const name: Expression = { kind: "name", name: this.#name() };
      return attributes && this.#accepts(".") ? { kind: "attribute", of: name, name: this.#name() } : name;
    };
    const items = [one()];
    while (this.#accepts(",")) items.push(one());
    return items.length === 1 ? (items[0] as Expression) : { kind: "tuple", items };
  }

  #parameters(opened = false): [string, Expression | undefined][] {
    if (!opened) this.#expect("(");
    const parameters: [string, Expression | undefined][] = [];
    while (!this.#accepts(")")) {
      if (parameters.length > 0) this.#expect(",");
      parameters.push([this.#name(), this.#accepts("=") ? this.#expression() : undefined]);
    }
    return parameters;
  }

  /** Expressions with commas between them are a tuple. */
  #tuple(conditions = true): Expression {
    const one = () => (conditions ? this.#expression() : this.#or());
    const first = one();
    if (!this.#peeks(",")) return first;
    const items = [first];
    while (this.#accepts(",")) {
      if (this.#peek()?.kind === "end" || this.#peeks(")") || this.#peeks("=")) break;
      items.push(one());
    }
    return { kind: "tuple", items };
  }

  #expression(): Expression {
    let value = this.#or();
    while (this.#acceptsName("if")) {
      const test = this.#or();
      const otherwise = this.#acceptsName("else") ? this.#expression() : undefined;
      value = { kind: "condition", test, then: value, otherwise };
    }
    return value;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#acceptsName("or")) left = { kind: "binary", operator: "or", left, right: this.#and() };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.#acceptsName("and")) left = { kind: "binary", operator: "and", left, right: this.#not() };
    return left;
  }

  #not(): Expression {
    return this.#acceptsName("not") ? { kind: "not", of: this.#not() } : this.#compare();
  }

  #compare(): Expression {
    const first = this.#sum();
    const rest: [string, Expression][] = [];
    for (;;) {
      const operator = COMPARISONS.find((operator) => this.#peeks(operator));
      if (operator !== undefined) this.#at++;
      const name =
        operator ??
        (this.#acceptsName("in") ? "in" : this.#peeksName("not") && this.#peeksName("in", 1) ? "not in" : undefined);
      if (name === undefined) break;
      if (name === "not in") this.#at += 2;
      rest.push([name, this.#sum()]);
    }
    return rest.length === 0 ? first : { kind: "compare", first, rest };
  }

  #binary(operators: readonly string[], next: () => Expression): Expression {
    let left = next();
    for (;;) {
      const operator = operators.find((operator) => this.#accepts(operator));
      if (operator === undefined) return left;
      left = { kind: "binary", operator, left, right: next() };
    }
  }

  #sum(): Expression {
    return this.#binary(["+", "-"], () => this.#concat());
  }

  #concat(): Expression {
    return this.#binary(["~"], () => this.#product());
  }

  #product(): Expression {
    return this.#binary(["*", "/", "//", "%"], () => this.#power());
  }

  #power(): Expression {
    return this.#binary(["**"], () => this.#unary());
  }

  #unary(filters = true): Expression {
    const sign = this.#accepts("-") ? "negative" : this.#accepts("+") ? "positive" : undefined;
    let node: Expression = sign === undefined ? this.#primary() : { kind: sign, of: this.#unary(false) };
    node = this.#postfix(node);
    if (!filters) return node;
    for (;;) {
      if (this.#accepts("|")) node = { kind: "filter", of: node, ...this.#filterCall() };
      else if (this.#acceptsName("is")) node = this.#test(node);
      else if (this.#peeks("(")) node = this.#postfix(node);
      else return node;
    }
  }

  #filterCall(): FilterCall {
    let name = this.#name();
    while (this.#accepts(".")) name += `.${this.#name()}`;
    return { name, args: this.#accepts("(") ? this.#arguments() : { positional: [], named: [] } };
  }

  #test(of: Expression): Expression {
    const negated = this.#acceptsName("not");
    const token = this.#next();
    if (token?.kind !== "name") throw this.#wrong("expected the name of a test", token);
    const name = token.value;
    let args: Arguments = { positional: [], named: [] };
    if (this.#accepts("(")) args = this.#arguments();
    else {
      const token = this.#peek();
      const starts =
        token !== undefined &&
        (["string", "integer", "float"].includes(token.kind) ||
          (token.kind === "name" && !["else", "or", "and", "is", "not", "in", "if"].includes(token.value)) ||
          (token.kind === "operator" && ["[", "{"].includes(token.value)));
      if (starts) args = { positional: [this.#postfix(this.#primary())], named: [] };
    }
    const test: Expression = { kind: "test", of, name, args };
    return negated ? { kind: "not", of: test } : test;
  }

  #primary(): Expression {
    const token = this.#next();
    switch (token?.kind) {
      case "string": {
        let { value } = token;
        while (this.#peek()?.kind === "string") value += (this.#next() as Token).value;
        return { kind: "literal", value };
      }
      case "integer":
        return { kind: "literal", value: Number(token.value.replaceAll("_", "")) };
      case "float":
        return { kind: "literal", value: Number(token.value.replaceAll("_", "")), float: true };
      case "name": {
        const constants: Readonly<Record<string, boolean | null>> = { true: true, false: false, none: null, True: true, False: false, None: null }; // prettier-ignore
        const value = Object.hasOwn(constants, token.value) ? constants[token.value] : undefined;
        return value === undefined ? { kind: "name", name: token.value } : { kind: "literal", value };
      }
      case "operator":
        if (token.value === "(") {
          if (this.#accepts(")")) return { kind: "tuple", items: [] };
          const inner = this.#tuple();
          this.#expect(")");
          return inner;
        }
        if (token.value === "[") return { kind: "list", items: this.#items("]", () => this.#expression()) };
        if (token.value === "{") {
          const pair = (): [Expression, Expression] => {
            const key = this.#expression();
            this.#expect(":");
            return [key, this.#expression()];
          };
          return { kind: "dict", items: this.#items("}", pair) };
        }
        break;
      case "text":
      case "begin":
      case "end":
      case undefined:
    }
    throw this.#wrong("expected an expression", token);
  }

  #items<T>(end: string, one: () => T): T[] {
    const items: T[] = [];
    while (!this.#accepts(end)) {
      if (items.length > 0) {
        this.#expect(",");
        if (this.#accepts(end)) break;
      }
      items.push(one());
    }
    return items;
  }

  #postfix(node: Expression): Expression {
    for (;;) {
      if (this.#accepts(".")) {
        const token = this.#next();
        if (token?.kind === "name") node = { kind: "attribute", of: node, name: token.value };
        else if (token?.kind === "integer")
          node = { kind: "item", of: node, key: { kind: "literal", value: Number(token.value) } };
        else throw this.#wrong("expected a name after the dot", token);
      } else if (this.#accepts("[")) node = this.#subscript(node);
      else if (this.#accepts("(")) node = { kind: "call", of: node, args: this.#arguments() };
      else return node;
    }
  }

  #subscript(of: Expression): Expression {
    const bounds: (Expression | undefined)[] = [];
    let part: Expression | undefined;
    let slices = false;
    for (;;) {
      if (this.#accepts(":")) {
        bounds.push(part);
        part = undefined;
        slices = true;
      } else if (this.#accepts("]")) {
        bounds.push(part);
        break;
      } else part = this.#tuple();
    }
    const [key] = bounds;
    if (slices) return { kind: "slice", of, bounds };
    if (key === undefined) throw this.#wrong("expected a key between the brackets");
    return { kind: "item", of, key };
  }

  #arguments(): Arguments {
    const positional: Expression[] = [];
    const named: [string, Expression][] = [];
    this.#items(")", () => {
      const token = this.#peek();
      if (token?.kind === "name" && this.#peeks("=", 1)) {
        this.#at += 2;
        named.push([token.value, this.#expression()]);
      } else if (this.#accepts("*")) positional.push({ kind: "spread", of: this.#expression() });
      else positional.push(this.#expression());
    });
    return { positional, named };
  }

  #peek(ahead = 0): Token | undefined {
    return this.tokens[this.#at + ahead];
  }

  #next(): Token | undefined {
    return this.tokens[this.#at++];
  }

  #peeks(operator: string, ahead = 0): boolean {
    const token = this.#peek(ahead);
    return token?.kind === "operator" && token.value === operator;
  }

  #peeksName(name: string, ahead = 0): boolean {
    const token = this.#peek(ahead);
    return token?.kind === "name" && token.value === name;
  }

  #accepts(operator: string): boolean {
    const found = this.#peeks(operator);
    if (found) this.#at++;
    return found;
  }

  #acceptsName(name: string): boolean {
    const found = this.#peeksName(name);
    if (found) this.#at++;
    return found;
  }

  #expect(operator: string): void {
    if (!this.#accepts(operator)) throw this.#wrong(`expected "${operator}"`, this.#peek());
  }

  #expectName(name: string): void {
    if (!this.#acceptsName(name)) throw this.#wrong(`expected "${name}"`, this.#peek());
  }

  #name(): string {
    const token = this.#next();
    if (token?.kind !== "name") throw this.#wrong("expected a name", token);
    return token.value;
  }

  /** The end of a tag. */
  #end(): void {
    const token = this.#next();
    if (token?.kind !== "end") throw this.#wrong("expected the end of the tag", token);
  }

  #wrong(message: string, token: Token | undefined = this.tokens[this.#at - 1]): TemplateError {
    const where = token ?? this.tokens.at(-1);
    return new TemplateError(
      `line ${where?.line ?? 1}: ${message}${token === undefined ? "" : `, got ${JSON.stringify(token.value)}`}`,
    );
  }
}

/** @throws TemplateError with the line for what is no template */
export function parseTemplate(source: string): readonly Node[] {
  return new Parser(tokenize(source)).block([]).nodes;
}

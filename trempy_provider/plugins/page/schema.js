/**
 * The part of JSON Schema that the settings' schema uses, checked while somebody types.
 * The server checks again, and knows more: contradictions, other tasks, tables.
 */

/** Follow references to other parts of the schema; what stands beside a reference wins. */
export function resolved(schema, root) {
  let found = schema;
  while (found.$ref) {
    const { $ref, ...beside } = found;
    const part = $ref.replace(/^#\/?/, "").split("/").filter(Boolean);
    found = { ...part.reduce((at, key) => at[key], root), ...beside };
  }
  return found;
}

/** "string" of {anyOf: [{type: string}, {type: null}]}: the schema of a value that may be null, and whether it may. */
export function withoutNull(schema, root) {
  const whole = resolved(schema, root);
  const choices = (whole.anyOf ?? []).map((one) => resolved(one, root));
  const others = choices.filter((one) => one.type !== "null");
  if (others.length !== 1 || others.length === choices.length) return { schema: whole, nullable: false };
  const { anyOf, ...beside } = whole;
  return { schema: { ...others[0], ...beside }, nullable: true };
}

/** Return the problems of a value: [{path, message}], none when it fits. */
export function check(value, schema, root = schema, path = "") {
  const rules = resolved(schema, root);
  if (rules.oneOf) return checkChoice(value, rules, root, path);
  if (rules.anyOf) {
    const tries = rules.anyOf.map((one) => check(value, one, root, path));
    return tries.find((problems) => !problems.length) ?? tries.sort((a, b) => b[0].path.length - a[0].path.length)[0];
  }
  const problem = (message) => [{ path, message }];
  if ("const" in rules && !same(value, rules.const)) return problem(`must be ${JSON.stringify(rules.const)}`);
  if (rules.enum && !rules.enum.some((one) => same(value, one))) {
    return problem(`${JSON.stringify(value)} is none of ${rules.enum.map((one) => JSON.stringify(one)).join(", ")}`);
  }
  const types = [rules.type ?? []].flat();
  if (types.length && !types.some((type) => isType(value, type))) return problem(`must be ${types.join(" or ")}, is ${typeName(value)}`);
  if (typeof value === "string") return checkText(value, rules).flatMap(problem);
  if (typeof value === "number") return checkNumber(value, rules).flatMap(problem);
  if (Array.isArray(value)) return checkList(value, rules, root, path);
  if (value !== null && typeof value === "object") return checkObject(value, rules, root, path);
  return [];
}

function checkChoice(value, rules, root, path) {
  const named = rules.discriminator?.propertyName;
  const part = named && value !== null && typeof value === "object" ? rules.discriminator.mapping[value[named]] : null;
  if (part) return check(value, { $ref: part }, root, path);
  if (named) return [{ path: join(path, named), message: `must be one of ${Object.keys(rules.discriminator.mapping).join(", ")}` }];
  const tries = rules.oneOf.map((one) => check(value, one, root, path));
  return tries.find((problems) => !problems.length) ?? tries[0];
}

function checkText(text, rules) {
  const found = [];
  const length = [...text].length;
  if (length < (rules.minLength ?? 0)) found.push(rules.minLength === 1 ? "must not be empty" : `must have at least ${rules.minLength} characters`);
  if (length > (rules.maxLength ?? Infinity)) found.push(`must have at most ${rules.maxLength} characters`);
  if (rules.pattern && !new RegExp(rules.pattern, "u").test(text)) found.push(rules.$comment ? `must be ${rules.$comment}` : `does not match ${rules.pattern}`);
  return found;
}

function checkNumber(number, rules) {
  const found = [];
  if (number < (rules.minimum ?? -Infinity)) found.push(`must be at least ${rules.minimum}`);
  if (number > (rules.maximum ?? Infinity)) found.push(`must be at most ${rules.maximum}`);
  if (number <= (rules.exclusiveMinimum ?? -Infinity)) found.push(`must be greater than ${rules.exclusiveMinimum}`);
  return found;
}

function checkList(list, rules, root, path) {
  const found = [];
  if (list.length < (rules.minItems ?? 0)) found.push({ path, message: `must have at least ${rules.minItems}` });
  if (list.length > (rules.maxItems ?? Infinity)) found.push({ path, message: `must have at most ${rules.maxItems}` });
  if (rules.items) list.forEach((one, index) => found.push(...check(one, rules.items, root, `${path}[${index}]`)));
  return found;
}

function checkObject(object, rules, root, path) {
  const known = rules.properties ?? {};
  const found = (rules.required ?? []).filter((key) => !(key in object)).map((key) => ({ path: join(path, key), message: "is missing" }));
  for (const [key, value] of Object.entries(object)) {
    if (Object.hasOwn(known, key)) found.push(...check(value, known[key], root, join(path, key)));
    else if (rules.additionalProperties === false) found.push({ path: join(path, key), message: "is not a setting" });
    else if (rules.additionalProperties) found.push(...check(value, rules.additionalProperties, root, join(path, key)));
  }
  return found;
}

/** "task" and "task_name" → "task.task_name". */
export function join(path, key) {
  return path ? `${path}.${key}` : key;
}

function isType(value, type) {
  if (type === "integer") return Number.isInteger(value);
  return type === "number" ? typeof value === "number" : typeName(value) === type;
}

function typeName(value) {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

function same(a, b) {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

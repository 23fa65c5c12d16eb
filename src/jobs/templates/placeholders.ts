/**
 * Replaces each `{{name}}` in a text by its value from `valueOf`.
 * @throws Error for a name without a value, so that a template and its caller cannot drift apart.
 */
export function fillPlaceholders(
  template: string,
  valueOf: (name: string) => string | number | undefined,
): string {
  return template.replace(/\{\{([A-Za-z0-9_.]+)\}\}/g, (_match, name: string) => {
    const value = valueOf(name);
    if (value === undefined) throw new Error(`{{${name}}}: no such value`);
    return String(value);
  });
}

/** Names that a template's `job.sh` may use, besides `params.NAME`. */
export const placeholderNames = [
  'dataset_dir',
  'dataset_file',
  'output_dir',
  'template_dir',
  'script',
  'command',
  'args',
  'params',
] as const;

export type PlaceholderName = (typeof placeholderNames)[number];

const pattern = /\{\{([A-Za-z0-9_][A-Za-z0-9_.-]*)\}\}/g;

/** Returns the parameter that a placeholder stands for, `x` of `params.x`; undefined for others. */
export function paramIn(name: string): string | undefined {
  return /^params\.([\w-]+)$/.exec(name)?.[1];
}

export interface Placeholder {
  name: string;
  /** Its position in the text, and the position behind it. */
  start: number;
  end: number;
}

/** Finds each `{{name}}` in a text. */
export function placeholdersIn(text: string): Placeholder[] {
  return [...text.matchAll(pattern)].map(({ index, 0: { length }, 1: name = '' }) => ({
    name,
    start: index,
    end: index + length,
  }));
}

/**
 * Replaces each `{{name}}` in a text by its value from `valueOf`.
 * @throws Error for a name without a value, so that a template and its caller cannot drift apart.
 */
export function fillPlaceholders(
  template: string,
  valueOf: (name: string) => string | number | undefined,
): string {
  return template.replace(pattern, (_match, name: string) => {
    const value = valueOf(name);
    if (value === undefined) throw new Error(`{{${name}}}: no such value`);
    return String(value);
  });
}

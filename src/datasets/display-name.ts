const maxLength = 200;

/**
 * Makes an uploader's file name safe to show: the last part of the path, at most 200 characters,
 * without control, direction and other invisible characters. Returns `data` when nothing is left.
 */
export function displayName(given: string | undefined): string {
  const last = (given ?? '').split(/[/\\]/).at(-1) ?? '';
  const visible = last.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '').trim();
  return [...visible].slice(0, maxLength).join('') || 'data';
}

const LONGEST = 200;

/**
 * What an uploader called a file, made safe to show: the last part of a path, without control, direction and other
 * invisible characters, at most 200 characters. `data` when nothing is left.
 */
export function displayName(given: string | undefined): string {
  const last = (given ?? '').split(/[/\\]/).at(-1) ?? '';
  const visible = last.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '').trim();
  return [...visible].slice(0, LONGEST).join('') || 'data';
}

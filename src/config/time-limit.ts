/**
 * Reads a time limit as `sbatch --time` does (sbatch(1)): `minutes`, `minutes:seconds`,
 * `hours:minutes:seconds`, `days-hours`, `days-hours:minutes`, `days-hours:minutes:seconds`, or
 * `UNLIMITED`/`INFINITE`.
 * @returns seconds, `UNLIMITED`, or undefined for any other text.
 */
export function parseTimeLimit(text: string): number | 'UNLIMITED' | undefined {
  if (/^(unlimited|infinite)$/i.test(text)) return 'UNLIMITED';
  const withDays = /^(\d{1,6})-(\d{1,2})(?::(\d{1,2}))?(?::(\d{1,2}))?$/.exec(text);
  if (withDays) {
    const [, days, hours, minutes = '0', seconds = '0'] = withDays;
    return Number(days) * 86400 + Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  }
  const parts = /^(\d{1,9})(?::(\d{1,2}))?(?::(\d{1,2}))?$/.exec(text);
  if (!parts) return undefined;
  const [, first, second, third] = parts;
  if (third !== undefined) return Number(first) * 3600 + Number(second) * 60 + Number(third);
  return Number(first) * 60 + Number(second ?? '0');
}

/** Formats seconds as Slurm prints and reads them: `days-hh:mm:ss`. */
export function formatTimeLimit(seconds: number): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const rest = seconds % 86400;
  const clock = [Math.floor(rest / 3600), Math.floor((rest % 3600) / 60), rest % 60].map(two);
  return `${Math.floor(seconds / 86400)}-${clock.join(':')}`;
}

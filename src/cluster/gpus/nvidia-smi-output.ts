/**
 * One row of `nvidia-smi --query-gpu=index,uuid,pci.bus_id,memory.total,name
 * --format=csv,noheader,nounits`.
 */
export interface SmiRow {
  index: number;
  uuid: string;
  /** Bus ID as the driver's folder under /proc names it: `0000:3b:00.0`. */
  busId: string;
  memoryMb: number;
  model: string;
}

export const smiArguments = [
  // The name comes last: it is the one field that is free text.
  '--query-gpu=index,uuid,pci.bus_id,memory.total,name',
  '--format=csv,noheader,nounits',
] as const;

/** Reads the rows of {@link smiArguments}. @throws Error on a row that cannot be read. */
export function parseSmi(output: string): SmiRow[] {
  return output
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const row =
        /^(\d+), (GPU-[0-9a-f-]+), ([0-9A-Fa-f]+:[0-9A-Fa-f:.]+), (\d+|\[N\/A\]), (.+)$/.exec(
          line.trim(),
        );
      if (!row) throw new Error(`nvidia-smi printed a row that cannot be read: ${line}`);
      const [, index, uuid, busId, memory, model] = row as unknown as [string, ...string[]];
      return {
        index: Number(index),
        uuid: uuid ?? '',
        busId: normalizeBusId(busId ?? ''),
        memoryMb: Number(memory) || 0,
        model: model ?? '',
      };
    });
}

/** Converts nvidia-smi's PCI domain of eight digits to the kernel's four, in lower case. */
function normalizeBusId(busId: string): string {
  return busId.toLowerCase().replace(/^0000(?=[0-9a-f]{4}:)/, '');
}

/**
 * Reads the minor number N of /dev/nvidiaN from `/proc/driver/nvidia/gpus/<bus id>/information`.
 */
export function parseDeviceMinor(information: string): number | undefined {
  const minor = /^Device Minor:\s*(\d+)\s*$/m.exec(information)?.[1];
  return minor === undefined ? undefined : Number(minor);
}

/** Figures of a GPU; null if the driver does not report that figure for that model. */
export interface SmiUsage {
  uuid: string;
  memoryUsedMb: number | null;
  memoryTotalMb: number | null;
  /** Percent of the time in use. */
  load: number | null;
  /** Temperature in degrees Celsius. */
  temperature: number | null;
}

export const usageArguments = [
  '--query-gpu=uuid,memory.used,memory.total,utilization.gpu,temperature.gpu',
  '--format=csv,noheader,nounits',
] as const;

/**
 * Reads the rows of {@link usageArguments}. A lost GPU has a line of words instead, or no line:
 * such lines are left out, so the GPU is missing.
 */
export function parseUsage(output: string): SmiUsage[] {
  const rows = output.matchAll(
    /^(GPU-[0-9a-f-]+), *([^,\n]+), *([^,\n]+), *([^,\n]+), *([^,\n]+)$/gm,
  );
  return [...rows].map(([, uuid = '', used, total, load, temperature]) => ({
    uuid,
    memoryUsedMb: numberOrNull(used),
    memoryTotalMb: numberOrNull(total),
    load: numberOrNull(load),
    temperature: numberOrNull(temperature),
  }));
}

/** One process on a GPU. */
export interface SmiProcess {
  uuid: string;
  pid: number;
  /** Name without control characters, at most 100 long: a process chooses its own name. */
  name: string;
  memoryMb: number | null;
}

export const processArguments = [
  // The name comes last: it is the one field that is free text.
  '--query-compute-apps=gpu_uuid,pid,used_memory,process_name',
  '--format=csv,noheader,nounits',
] as const;

/** Reads the rows of {@link processArguments}; drops the rest of a name that has a line break. */
export function parseProcesses(output: string): SmiProcess[] {
  const rows = output.matchAll(/^(GPU-[0-9a-f-]+), *(\d{1,10}), *([^,\n]+), *(.*)$/gm);
  return [...rows].map(([, uuid = '', pid, memory, name = '']) => ({
    uuid,
    pid: Number(pid),
    name: plainName(name),
    memoryMb: numberOrNull(memory),
  }));
}

function plainName(name: string): string {
  const plain = name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '').trim();
  return [...plain].slice(0, 100).join('') || 'unnamed';
}

/** Reads a number; null for `[N/A]`, `[Not Supported]`, `[Unknown Error]` and the like. */
function numberOrNull(text: string | undefined): number | null {
  return text !== undefined && /^\d+(\.\d+)?$/.test(text.trim()) ? Math.round(Number(text)) : null;
}

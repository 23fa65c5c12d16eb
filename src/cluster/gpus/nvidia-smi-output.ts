/** One row of `nvidia-smi --query-gpu=index,uuid,pci.bus_id,memory.total,name --format=csv,noheader,nounits`. */
export interface SmiRow {
  index: number;
  uuid: string;
  /** As the driver's folder under /proc names it: `0000:3b:00.0`. */
  busId: string;
  memoryMb: number;
  model: string;
}

export const smiArguments = [
  // The name comes last: it is the one field that is free text.
  '--query-gpu=index,uuid,pci.bus_id,memory.total,name',
  '--format=csv,noheader,nounits',
] as const;

/** @throws Error on a row that cannot be read. */
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

/** nvidia-smi writes the PCI domain with eight digits, the kernel with four, in lower case. */
function normalizeBusId(busId: string): string {
  return busId.toLowerCase().replace(/^0000(?=[0-9a-f]{4}:)/, '');
}

/** The minor number N of /dev/nvidiaN in a `/proc/driver/nvidia/gpus/<bus id>/information` file. */
export function parseDeviceMinor(information: string): number | undefined {
  const minor = /^Device Minor:\s*(\d+)\s*$/m.exec(information)?.[1];
  return minor === undefined ? undefined : Number(minor);
}

/** What a GPU is doing. Null where the driver does not say, as it does not for every figure of every model. */
export interface SmiUsage {
  uuid: string;
  memoryUsedMb: number | null;
  memoryTotalMb: number | null;
  /** Percent of the time. */
  load: number | null;
  /** Degrees Celsius. */
  temperature: number | null;
}

export const usageArguments = [
  '--query-gpu=uuid,memory.used,memory.total,utilization.gpu,temperature.gpu',
  '--format=csv,noheader,nounits',
] as const;

/**
 * Rows of {@link usageArguments}. A GPU that is lost has a line of words instead, or none: such lines are left out, and the
 * caller misses the GPU.
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
  /** Without control characters, at most 100 long: a process chooses its name itself. */
  name: string;
  memoryMb: number | null;
}

export const processArguments = [
  // The name comes last: it is the one field that is free text.
  '--query-compute-apps=gpu_uuid,pid,used_memory,process_name',
  '--format=csv,noheader,nounits',
] as const;

/** Rows of {@link processArguments}; what a line break in a name leaves behind is left out. */
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

/** Null for `[N/A]`, `[Not Supported]`, `[Unknown Error]` and their like. */
function numberOrNull(text: string | undefined): number | null {
  return text !== undefined && /^\d+(\.\d+)?$/.test(text.trim()) ? Math.round(Number(text)) : null;
}

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

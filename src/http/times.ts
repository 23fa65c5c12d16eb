import { z } from 'zod';

/** A time, as replies show it. */
export const timeSchema = z.iso.datetime();

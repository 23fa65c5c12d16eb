declare const brand: unique symbol;

/** A value that was checked once and cannot be mixed up with a plain one. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

declare const brand: unique symbol;

/** A checked value, which the type system keeps apart from plain ones. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

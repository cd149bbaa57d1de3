/** [IMA-2] The longest list. Real lists of long-running machines have some hundred thousand entries. */
export const IMA_BYTES_MAX = 256 * 2 ** 20;
/** The most entries. */
export const IMA_ENTRIES_MAX = 2 ** 20;
/** The longest template data of an entry. */
export const IMA_TEMPLATE_DATA_BYTES_MAX = 4 * 2 ** 20;
/** The longest name of a template. */
export const IMA_TEMPLATE_NAME_BYTES_MAX = 255;
/** Linux: PATH_MAX. */
export const IMA_PATH_BYTES_MAX = 4096;
export const PCR_MAX = 31;

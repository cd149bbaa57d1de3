/** [IMA-2] What a list may be at most. Real lists of long-running machines have some hundred thousand entries. */
export const IMA_BYTES_MAX = 256 * 2 ** 20;
export const IMA_ENTRIES_MAX = 2 ** 20;
export const IMA_TEMPLATE_DATA_BYTES_MAX = 4 * 2 ** 20;
export const IMA_TEMPLATE_NAME_BYTES_MAX = 255;
/** Linux: PATH_MAX. */
export const IMA_PATH_BYTES_MAX = 4096;
export const PCR_MAX = 31;

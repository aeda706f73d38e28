export { exportOcel, type OcelExportOptions } from './export-ocel.ts'
export { importOcel, type OcelImportOptions } from './import-ocel.ts'

export { exportXes, type XesExportOptions } from './export-xes.ts'
export { importXes, type XesImportOptions, type XesImportResult } from './import-xes.ts'
export { xesPeers } from './peers.ts'

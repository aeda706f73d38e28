import { parentPort, workerData } from 'node:worker_threads'
import { sendBatches } from './batch-sender.ts'

// The program of the thread that reads a file for an import.
if (parentPort !== null) sendBatches(parentPort, workerData)

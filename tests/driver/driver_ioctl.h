/* SPDX-License-Identifier: Apache-2.0 */
/* What the test driver and the program that loads it agree on. Include after windows.h or ntddk.h. */
#ifndef SKEP_DRIVER_IOCTL_H
#define SKEP_DRIVER_IOCTL_H

#define SKEP_DRIVER_DEVICE L"\\Device\\SkepCoreTest"
#define SKEP_DRIVER_LINK L"\\DosDevices\\SkepCoreTest"
#define SKEP_DRIVER_PATH "\\\\.\\SkepCoreTest"

/* No input; the output is one struct skep_selftest_result. */
#define SKEP_IOCTL_SELFTEST CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A Windows driver around the run-time core: one device, one IOCTL, which runs the core's own test, alone and in
 * threads of the kernel. It shows that the core's objects live in a driver; it is no product. */
#include <ntddk.h>

#include "tests/driver/core_selftest.h"
#include "tests/driver/driver_ioctl.h"

#define THREADS 6

struct worker {
    void* shared;
    unsigned number;
    PVOID thread;
};

static void NTAPI work(PVOID context) {
    const struct worker* worker = context;
    skep_selftest_shared_run(worker->shared, worker->number);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS run_selftest(struct skep_selftest_result* result) {
    static struct worker workers[THREADS]; /* the device is opened exclusively: one test at a time */
    result->size = sizeof *result;
    result->checks = result->failures = result->first_failed_line = result->map_types = result->threads = 0;
    skep_selftest_maps(result);

    void* shared = skep_selftest_shared_make(THREADS);
    if (shared == NULL) return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = STATUS_SUCCESS;
    for (unsigned i = 0; i < THREADS; ++i) {
        HANDLE handle;
        workers[i].shared = shared;
        workers[i].number = i;
        workers[i].thread = NULL;
        status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, work, &workers[i]);
        if (!NT_SUCCESS(status)) break;
        status = ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &workers[i].thread, NULL);
        ZwClose(handle);
        if (!NT_SUCCESS(status)) break;
    }
    for (unsigned i = 0; i < THREADS && workers[i].thread != NULL; ++i) {
        KeWaitForSingleObject(workers[i].thread, Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(workers[i].thread);
    }
    if (NT_SUCCESS(status)) skep_selftest_shared_finish(shared, result);
    return status;
}

static NTSTATUS finish(PIRP irp, NTSTATUS status, ULONG_PTR bytes) {
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = bytes;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS NTAPI open_or_close(PDEVICE_OBJECT device, PIRP irp) {
    (void)device;
    return finish(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI control(PDEVICE_OBJECT device, PIRP irp) {
    const PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    (void)device;
    if (stack->Parameters.DeviceIoControl.IoControlCode != SKEP_IOCTL_SELFTEST)
        return finish(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    if (stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(struct skep_selftest_result))
        return finish(irp, STATUS_BUFFER_TOO_SMALL, 0);
    const NTSTATUS status = run_selftest(irp->AssociatedIrp.SystemBuffer);
    return finish(irp, status, NT_SUCCESS(status) ? sizeof(struct skep_selftest_result) : 0);
}

static void NTAPI unload(PDRIVER_OBJECT driver) {
    UNICODE_STRING link = RTL_CONSTANT_STRING(SKEP_DRIVER_LINK);
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(driver->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path) {
    UNICODE_STRING name = RTL_CONSTANT_STRING(SKEP_DRIVER_DEVICE), link = RTL_CONSTANT_STRING(SKEP_DRIVER_LINK);
    PDEVICE_OBJECT device;
    (void)path;
    NTSTATUS status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, TRUE, &device);
    if (!NT_SUCCESS(status)) return status;
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    driver->MajorFunction[IRP_MJ_CREATE] = open_or_close;
    driver->MajorFunction[IRP_MJ_CLOSE] = open_or_close;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = control;
    driver->DriverUnload = unload;
    return STATUS_SUCCESS;
}

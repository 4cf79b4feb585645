// SPDX-License-Identifier: Apache-2.0
// Loads the test driver as a kernel service, asks its IOCTL to run the core's own test, and unloads it. Under Wine the
// driver runs in winedevice.exe; on Windows it needs administrator rights and test signing.
#include <gtest/gtest.h>
#include <windows.h>
// After windows.h, on which they depend.
#include <winioctl.h>
#include <winsvc.h>

#include <string>

#include "driver/core_selftest.h"
#include "driver/driver_ioctl.h"

namespace {

constexpr const char* service_name = "SkepCoreTest";

/// The driver that stands beside this program.
std::string driver_path() {
    char path[MAX_PATH] = {};
    GetModuleFileNameA(nullptr, path, sizeof path);
    std::string folder(path);
    return folder.substr(0, folder.find_last_of('\\') + 1) + "skep_core_test.sys";
}

class DriverService : public ::testing::Test {
  protected:
    void SetUp() override {
        manager_ = OpenSCManagerA(nullptr, nullptr, SC_MANAGER_ALL_ACCESS);
        ASSERT_NE(manager_, nullptr) << "error " << GetLastError();
        if (SC_HANDLE old = OpenServiceA(manager_, service_name, SERVICE_ALL_ACCESS)) {  // of a run that was ended
            SERVICE_STATUS status{};
            ControlService(old, SERVICE_CONTROL_STOP, &status);
            DeleteService(old);
            CloseServiceHandle(old);
        }
        const std::string path = driver_path();
        service_ = CreateServiceA(manager_, service_name, service_name, SERVICE_ALL_ACCESS, SERVICE_KERNEL_DRIVER,
                                  SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL, path.c_str(), nullptr, nullptr, nullptr,
                                  nullptr, nullptr);
        ASSERT_NE(service_, nullptr) << "error " << GetLastError();
        ASSERT_TRUE(StartServiceA(service_, 0, nullptr)) << path << ": error " << GetLastError();
    }

    void TearDown() override {
        SERVICE_STATUS status{};
        if (service_ != nullptr) {
            EXPECT_TRUE(ControlService(service_, SERVICE_CONTROL_STOP, &status)) << "error " << GetLastError();
            EXPECT_TRUE(DeleteService(service_));
            CloseServiceHandle(service_);
        }
        if (manager_ != nullptr) CloseServiceHandle(manager_);
    }

    static HANDLE open_device() {
        return CreateFileA(SKEP_DRIVER_PATH, GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr);
    }

    SC_HANDLE manager_ = nullptr;
    SC_HANDLE service_ = nullptr;
};

TEST_F(DriverService, TheCorePassesItsTestInTheKernel) {
    const HANDLE device = open_device();
    ASSERT_NE(device, INVALID_HANDLE_VALUE) << "error " << GetLastError();
    skep_selftest_result result{};
    DWORD bytes = 0;
    ASSERT_TRUE(DeviceIoControl(device, SKEP_IOCTL_SELFTEST, nullptr, 0, &result, sizeof result, &bytes, nullptr))
        << "error " << GetLastError();
    CloseHandle(device);
    EXPECT_EQ(bytes, sizeof result);
    EXPECT_EQ(result.size, sizeof result);
    EXPECT_GT(result.checks, 1000u);
    EXPECT_EQ(result.map_types, 9u);
    EXPECT_EQ(result.threads, 6u);
    EXPECT_EQ(result.failures, 0u) << "first at core_selftest.cpp:" << result.first_failed_line;
}

TEST_F(DriverService, OtherCodesAndSmallBuffersAreRefused) {
    const HANDLE device = open_device();
    ASSERT_NE(device, INVALID_HANDLE_VALUE) << "error " << GetLastError();
    skep_selftest_result result{};
    DWORD bytes = 0;
    EXPECT_FALSE(DeviceIoControl(device, SKEP_IOCTL_SELFTEST, nullptr, 0, &result, 4, &bytes, nullptr));
    EXPECT_FALSE(DeviceIoControl(device, SKEP_IOCTL_SELFTEST + 4, nullptr, 0, &result, sizeof result, &bytes, nullptr));
    CloseHandle(device);
}

}  // namespace

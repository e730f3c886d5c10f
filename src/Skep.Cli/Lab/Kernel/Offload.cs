using Skep.Engine;

namespace Skep.Cli.Lab.Kernel;

/// <summary>Switches device offloads.</summary>
internal static class Offload
{
    /// <summary>Whether TCP hands super-packets to the device, which are cut, queued and lost as one where no card cuts them.</summary>
    internal static void SetSegmentation(string device, bool on)
    {
        DeviceOffload.Set(device, DeviceOffload.TransmitSegmentation, on);
        DeviceOffload.Set(device, DeviceOffload.GenericSegmentation, on);
    }

    /// <summary>
    /// Without it received packets stay as they were on the wire, so that packets and bytes can be compared exactly. With it a veth takes frames that are redirected to
    /// its other end.
    /// </summary>
    internal static void SetReceiveCoalescing(string device, bool on) => DeviceOffload.Set(device, DeviceOffload.ReceiveCoalescing, on);

    /// <summary>The sender computes checksums. A veth hands packets over with partial ones, which outer headers would cover at XDP.</summary>
    internal static void DisableTransmitChecksum(string device) => DeviceOffload.Set(device, DeviceOffload.TransmitChecksum, on: false);
}

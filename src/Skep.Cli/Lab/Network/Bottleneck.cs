using System.Globalization;

namespace Skep.Cli.Lab.Network;

/// <summary>A token bucket in front of a device of the edge: it delays what waits in its queue and loses what does not fit.</summary>
internal sealed class Bottleneck : IDisposable
{
    private readonly string _device;
    private readonly string _namespace;

    internal Bottleneck(LabNamespace place, string device, int megabitsPerSecond, int milliseconds)
    {
        _namespace = place.Name;
        _device = device;
        Tool.Run(
            "tc", "-n", _namespace, "qdisc", "add", "dev", device, "root", "tbf", "rate", string.Create(CultureInfo.InvariantCulture, $"{megabitsPerSecond}mbit"),
            "burst", "16kb", "latency", string.Create(CultureInfo.InvariantCulture, $"{milliseconds}ms"));
    }

    public void Dispose() => Tool.Run("tc", "-n", _namespace, "qdisc", "delete", "dev", _device, "root");
}

using System.Globalization;
using Skep.Packets;

namespace Skep.Balancing.Adaptive;

/// <summary>What the controller knows of a backend from step to step.</summary>
internal sealed class BackendFate(IpAddress address, ushort port)
{
    public IpAddress Address => address;

    public ushort Port => port;

    public BackendWatch Watch { get; } = new();

    /// <summary>Natural logarithm of the factor on its weight that the law moves.</summary>
    public double Logarithm { get; set; }

    /// <summary>Its latency and the mean of all in seconds, as the last step saw them, and of what.</summary>
    public (double Latency, double Mean, string Of) Told { get; set; } = (double.NaN, double.NaN, "answers");

    /// <summary>Share it was given last; negative before the first time.</summary>
    public double Share { get; set; } = -1;

    /// <summary>Weight that was published last; null for none.</summary>
    public int? Published { get; set; }

    /// <summary>Whether it took connections, leaving ejections aside, at the last step; null before the first.</summary>
    public bool? WasUsable { get; set; }

    public bool WasAlive { get; set; } = true;

    public bool WasDraining { get; set; }

    /// <summary>End of its ejection; null when it is not out.</summary>
    public TimeSpan? OutUntil { get; private set; }

    /// <summary>Whether it fails but may not be taken out.</summary>
    public bool IsSpared { get; set; }

    /// <summary>Begin of its slow start; null when it is over.</summary>
    public TimeSpan? GrowsSince { get; set; }

    private int _ejections;
    private TimeSpan _returned;

    /// <summary>Takes it out; twice as long as the last time unless it did well meanwhile.</summary>
    public TimeSpan Eject(TimeSpan now, OutlierPolicy policy)
    {
        var last = LengthOf(_ejections, policy);
        _ejections = _ejections > 0 && now - _returned > 4 * last ? 1 : _ejections + 1;
        var length = LengthOf(_ejections, policy);
        OutUntil = now + length;
        GrowsSince = null;
        return length;
    }

    /// <summary>Lets it in again.</summary>
    public void Return(TimeSpan now)
    {
        OutUntil = null;
        _returned = now;
        Watch.Pardon();
    }

    /// <summary>Part of its weight that slow start allows; 1 when it is over.</summary>
    public double Growth(TimeSpan now, TimeSpan length, double floor)
    {
        if (GrowsSince is not { } since || length <= TimeSpan.Zero)
        {
            GrowsSince = null;
            return 1;
        }

        var part = (now - since) / length;
        if (part >= 1)
        {
            GrowsSince = null;
            return 1;
        }

        return Math.Max(floor, part);
    }

    /// <summary>A time in the unit people use for it.</summary>
    public static string Shown(double seconds) => seconds switch
    {
        double.NaN => "an unknown time",
        < 0.001 => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1e6:0} us"),
        < 10 => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1e3:0.#} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds:0} s"),
    };

    private static TimeSpan LengthOf(int ejections, OutlierPolicy policy) =>
        ejections == 0 ? TimeSpan.Zero
        : ejections > 20 ? policy.EjectForMost
        : TimeSpan.FromSeconds(Math.Min(policy.EjectForMost.TotalSeconds, policy.EjectFor.TotalSeconds * Math.Pow(2, ejections - 1)));
}

using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Replay;

/// <summary>Verdicts of XDP and TC programs as people read them.</summary>
public static class Verdicts
{
    /// <summary>Lower-case name of a verdict, <c>pass</c> or <c>drop</c>; a number that is no verdict stays a number.</summary>
    public static string NameOf(BpfProgram program, int verdict) => program switch
    {
        XdpProgram => (XdpAction)verdict switch
        {
            XdpAction.Aborted => "aborted",
            XdpAction.Drop => "drop",
            XdpAction.Pass => "pass",
            XdpAction.Tx => "tx",
            XdpAction.Redirect => "redirect",
            _ => verdict.ToString(System.Globalization.CultureInfo.InvariantCulture),
        },
        _ => (TcAction)verdict switch
        {
            TcAction.Unspec => "unspec",
            TcAction.Ok => "ok",
            TcAction.Shot => "shot",
            TcAction.Redirect => "redirect",
            _ => verdict.ToString(System.Globalization.CultureInfo.InvariantCulture),
        },
    };

    /// <summary>Whether the packet goes on, to the stack or out of an interface.</summary>
    public static bool Forwards(BpfProgram program, int verdict) => program is XdpProgram
        ? (XdpAction)verdict is XdpAction.Pass or XdpAction.Tx or XdpAction.Redirect
        : (TcAction)verdict is TcAction.Unspec or TcAction.Ok or TcAction.Redirect;
}

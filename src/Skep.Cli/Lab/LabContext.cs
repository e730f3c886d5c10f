using Skep.Cli.Lab.Network;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab;

/// <summary>What a row works with.</summary>
/// <param name="Network">Namespaces and addresses.</param>
/// <param name="Services">What runs on the service hosts.</param>
/// <param name="Time">The clock.</param>
internal sealed record LabContext(LabTopology Network, LabServices Services, TimeProvider Time);

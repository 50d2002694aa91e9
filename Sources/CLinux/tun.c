#include "tun.h"

#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

_Static_assert(IFF_TUN_EXCL == 0x8000, "sda_tun_exclusive");
_Static_assert((IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE) == 0x5102, "sda_tun_tap_flags");

int sda_tun_attach(int fd, const char *name, unsigned short flags) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags = (short)flags;
    return ioctl(fd, TUNSETIFF, &request);
}

int sda_tun_set_owner(int fd, unsigned int uid) { return ioctl(fd, TUNSETOWNER, (unsigned long)uid); }

int sda_tun_set_group(int fd, unsigned int gid) { return ioctl(fd, TUNSETGROUP, (unsigned long)gid); }

int sda_tun_set_persistent(int fd, int on) { return ioctl(fd, TUNSETPERSIST, (unsigned long)on); }

int sda_tun_set_carrier(int fd, int on) { return ioctl(fd, TUNSETCARRIER, &on); }

int sda_link_index(int socket, const char *name) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return ioctl(socket, SIOCGIFINDEX, &request) < 0 ? -1 : request.ifr_ifindex;
}
